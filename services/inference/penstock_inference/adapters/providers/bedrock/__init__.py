"""Amazon Bedrock: its Converse API, which has one form for every model there."""
