/* hearth-cli as a function, for whoever has no window to offer. */
#ifndef HEARTH_CLI_MAIN_H
#define HEARTH_CLI_MAIN_H

/* The whole program. Returns the exit code: 0 done, 1 failed, 2 bad usage, 3 the input was refused.
 */
int hearth_command_main(int argc, char **argv);

#endif
