"""Azure OpenAI: OpenAI's interfaces at a resource of Azure's."""
