/* SPDX-License-Identifier: MIT */
/* The last line of every .def: leaves no name behind for the next pass. No guard: included once a pass. */
#undef STATE
#undef EVENT
#undef CELL
#undef ALL_WAITING
