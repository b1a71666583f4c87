"""Small changes of the code, made one by one: does a test notice? `make mutants`."""
