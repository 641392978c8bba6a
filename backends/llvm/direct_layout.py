"""Calls without Python: what the routine reads, of ours and of Python and numpy.

record     frame, entry, busy, the number of inputs, variables, updates and outputs, what to
           answer (READY, ARRAY, LIST), slow, pack (a callable on that list, or 0), ready (the
           answer that READY means), the string "out" (or 0: an input has that name), how
           memory for the outputs may come (NOT_SO, SEQUENCE, or the keys of a dict), taken
           (whether a call runs without the interpreter's lock), a tuple of the names of the
           inputs and then of their defaults (None for none; or 0: no names are taken), then
           inputs     descriptor, rank, position in the table
           variables  address of a reference to an array, position in the table
           updates    address of a reference to an array and to its spare, position
           outputs    descriptor, rank, position in the table
           memory     for each output, a list of memory that large arrays were in, and where in a
                      page they begin
frame      table, sizes and fault for the entry, the next frame (or 0), whether calls are long,
           room for a reference to the array of every variable, room for a number for every input,
           the bytes of every input and of every output, then the shapes of inputs and of outputs
"""

READY, ARRAY, LIST = range(3)
NOT_SO, SEQUENCE = range(2)
REWRITING = 1 << 32  # what calls elsewhere count for that write over values of variables
HEADER = 15
TAKEN, KNOWN = 13, 14  # the places of these words
NAMED = 32  # inputs of a function that takes names
NEXT, LONG, FRAME_HEADER = 3, 4, 5
ARRAY_TYPE, NEW_FROM_DESCR, SET_BASE_OBJECT = 2, 94, 282  # in numpy's table of C functions

# Where a numpy array keeps its fields, in bytes; the object's header comes first.
DATA, RANK, SHAPE, DESCRIPTOR, FLAGS = 16, 24, 32, 56, 64
DESCRIPTOR_TYPE, DESCRIPTOR_NUMBER = 16, 28  # of a dtype: the type of its numbers, its own number
OWN_NUMBERS = 24  # numpy's own dtypes have numbers below
VALUE = 16  # where one number keeps its value, Python's float as well
DENSE = 0x0001 | 0x0100  # C-contiguous and aligned
WRITABLE = 0x0400
SIZE, ITEMS = 16, 24  # of a tuple; lists keep their size there too
