"""The `octomesh` command as a client: pools and adapters of a tenant, over the API that everybody has.

It knows the words of the domain and nothing of the server: neither its code nor its database.
"""
