import os

import openai

client = openai.OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PENSTOCK_KEY"])
question = [{"role": "user", "content": "What does a penstock do?"}]
answer = client.chat.completions.create(model="penstock-demo", messages=question)
print(answer.choices[0].message.content)
