"""ONNX files: reading float and QDQ graphs."""
