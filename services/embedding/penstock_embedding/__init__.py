"""The embedding service: texts to vectors, without torch."""

import os

# ONNX Runtime's wheel tells its maker of every session, over the network, unless this says otherwise when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
