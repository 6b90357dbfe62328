import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="penstock-demo", base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PENSTOCK_KEY"])
print(model.invoke("What does a penstock do?").text)
