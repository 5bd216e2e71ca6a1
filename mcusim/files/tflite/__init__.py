"""TensorFlow Lite files: a bounds-checked reader, and a writer."""
