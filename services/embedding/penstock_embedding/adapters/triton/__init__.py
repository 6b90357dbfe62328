"""Triton Inference Server over gRPC, with the tensors of our own graph."""
