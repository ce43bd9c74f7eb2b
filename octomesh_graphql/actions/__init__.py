"""What can happen: one file per flow, plain functions over the store.

They decide the order; the domain decides the rules. What does not belong here: GraphQL, HTTP, MongoDB queries.
"""
