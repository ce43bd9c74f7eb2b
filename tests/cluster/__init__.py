"""Against a real Kubernetes API server with real controllers; only the kubelet is played.

These tests run when asked for: `make test-cluster`, or `pytest tests/cluster`, or `pytest -m cluster`. The long ones,
which break things in every way there is (test_faults_*.py), are part of `make test-faults`.
"""
