/* The parts of test-plugin. */
#ifndef TEST_PLUGIN_H
#define TEST_PLUGIN_H

void plugin_refused(void);
void plugin_refused_on_gpu(void);
void plugin_experts_apart(void);

#endif
