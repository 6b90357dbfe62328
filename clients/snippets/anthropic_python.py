import os

import anthropic

client = anthropic.Anthropic(base_url="http://127.0.0.1:8080", api_key=os.environ["PENSTOCK_KEY"])
question = [{"role": "user", "content": "What does a penstock do?"}]
message = client.messages.create(model="penstock-demo", max_tokens=200, messages=question)
print(message.content[0].text)
