import os

import openai

client = openai.OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PENSTOCK_KEY"])
response = client.responses.create(model="penstock-demo", input="What does a penstock do?")
print(response.output_text)
