"""What is true about tenants, pools and adapters: plain Python that awaits nothing and looks at no clock.

The words, each for one thing:

Tenant      who owns data: a database of its own, reached only through a handle bound to it.
Pool        a place with a group of Adapters that are deployed and managed together.
Adapter     a process that runs data pipelines near its source (edge) or in the middle (mesh); in at most one Pool.
Operator    a Communication Operator: the program that serves Pools in a Kubernetes cluster. It belongs to no tenant.
Spec        what users write: name, description, membership, image, configuration, what is wished to be deployed.
Status      what agents and the server find out: communication, configuration and deployment state, messages.
Wish        the wanted part of the spec; every new wish raises `generation`.
Found       what an agent reported about a wish, with the generation it acted on (`observed_generation`).
Deploy      a user's wish that something runs; *undeploy* is the wish that it is gone. What is done to a cluster is
            called apply and delete; what an agent tells the API is a report.
Transition  one state of one entity becoming another, with who, why and when.
Change      what a subscriber receives. (*Event* is Kubernetes' word.)
Caller      who asks, and what they may do.
Settings    how a program starts. (*Configuration* is an adapter's.)
Problem     why something a user asked for was refused: data for the user, not a failure of the server.
"""
