"""What must survive what: real programs, real faults, and a recorded history that is checked afterwards."""
