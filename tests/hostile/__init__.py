"""What people send who mean no good, over the whole schema and beneath it: the server stays well, and others served."""
