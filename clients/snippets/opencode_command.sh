cat > opencode.json <<END
{
  "provider": {
    "penstock": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "http://127.0.0.1:8080/v1", "apiKey": "{env:PENSTOCK_KEY}" },
      "models": { "code": {} }
    }
  }
}
END
opencode run --model penstock/code "What does a penstock do?"
