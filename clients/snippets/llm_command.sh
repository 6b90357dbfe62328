mkdir -p ~/.config/io.datasette.llm
cat > ~/.config/io.datasette.llm/extra-openai-models.yaml <<END
- model_id: penstock
  model_name: penstock-demo
  api_base: http://127.0.0.1:8080/v1
  api_key_name: penstock
END
llm keys set penstock --value "$PENSTOCK_KEY"
llm -m penstock "What does a penstock do?"
