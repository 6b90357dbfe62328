"""Triton Inference Server over gRPC, with the vLLM backend's tensors."""
