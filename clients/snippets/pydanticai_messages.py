import os

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

provider = AnthropicProvider(base_url="http://127.0.0.1:8080", api_key=os.environ["PENSTOCK_KEY"])
agent = Agent(AnthropicModel("penstock-demo", provider=provider))
print(agent.run_sync("What does a penstock do?").output)
