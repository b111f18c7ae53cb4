"""An index of Python's standard library: documents, columns and vectors in one Trilith database."""
