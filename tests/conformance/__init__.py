"""What others demand of a GraphQL server, checked by their own programs. They take Node; `make test-conformance`."""
