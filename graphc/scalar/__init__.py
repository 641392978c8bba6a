"""The scalar and index expression language shared by op lowerings and kernels."""
