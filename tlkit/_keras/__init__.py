"""The one room with private names of Keras and TensorFlow."""
