"""Flash: sectors, programming, what is written back and what it wears."""
