"""Program one: the GraphQL API server.

Types declare the graph, resolvers unpack their arguments, call one action or read the store, and return what it
returns. What does not belong here: decisions, and anything about MongoDB.
"""
