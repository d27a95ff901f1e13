"""The machines that neurosam networks are mapped onto: chips, their rules and costs."""
