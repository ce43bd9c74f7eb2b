"""Against a real Kubernetes API server with real controllers; only the kubelet is played.

These tests run when asked for: `make test-cluster`, or `pytest tests/cluster`, or `pytest -m cluster`.
"""
