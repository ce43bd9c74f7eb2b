"""The pages in a real browser. `make test` leaves them out; `make test-browser` builds the pages and runs these."""
