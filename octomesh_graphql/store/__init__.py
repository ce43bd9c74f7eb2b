"""What is remembered: tenants, pools and adapters in MongoDB, and the feed of their changes.

The only way to a tenant's data is a `TenantStore`, bound to that tenant's database. What does not belong here: rules
about what may happen (they are in `domain`) and their order (that is in `actions`).
"""
