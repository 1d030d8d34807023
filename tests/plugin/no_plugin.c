/* A library like any other. */
int no_plugin(void);
int no_plugin(void) { return 1; }
