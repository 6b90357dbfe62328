"""Amazon Bedrock's Converse, as a script says."""
