"""OctoMesh Communication Operators, Pools and Adapters behind a GraphQL API.

The rooms, from the ground up: `domain` says what is true, `store` remembers it in MongoDB, `actions` are what can
happen, `api` is the GraphQL server. `settings` tells how a program starts and `__main__` starts it.
"""

__version__ = "0.1.0"
