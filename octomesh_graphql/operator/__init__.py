"""Program two, the Communication Operator: makes a cluster match what tenants wish about its pools, and reports back.

It meets the API server in `domain/` and on the wire, never by import. Only `kubernetes.py` talks to Kubernetes;
whatever decides something is a pure function of what was asked and what was observed.
"""
