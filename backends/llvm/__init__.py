"""The LLVM backend: loop programs to native code."""
