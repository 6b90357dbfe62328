mkdir -p ~/.codex
cat > ~/.codex/config.toml <<END
model = "code"
model_provider = "penstock"

[model_providers.penstock]
name = "Penstock"
base_url = "http://127.0.0.1:8080/v1"
env_key = "PENSTOCK_KEY"
wire_api = "responses"
END
codex exec --skip-git-repo-check "What does a penstock do?"
