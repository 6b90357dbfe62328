import os

import instructor
import openai
from pydantic import BaseModel


class Place(BaseModel):
    """What is asked for."""

    city: str


own = openai.OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ["PENSTOCK_KEY"])
client = instructor.from_openai(own)
question = [{"role": "user", "content": "Where is the oldest hydroelectric station?"}]
print(client.chat.completions.create(model="penstock-demo", messages=question, response_model=Place).city)
