"""The rooms of a page: each makes one part of a document from one part of a result."""
