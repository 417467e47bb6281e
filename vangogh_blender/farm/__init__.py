"""A farm job: the scene, what it shows and what animates that, in a folder that render farms read."""
