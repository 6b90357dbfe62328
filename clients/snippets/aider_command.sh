export OPENAI_API_BASE=http://127.0.0.1:8080/v1 OPENAI_API_KEY="$PENSTOCK_KEY"
aider --model openai/penstock-demo --no-show-model-warnings --no-git --yes-always --message "/ask What does a penstock do?"
