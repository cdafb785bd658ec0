/*
 * Where libevent has its memory from. It keeps a few bytes for each descriptor number that was ever watched,
 * for as long as the process runs. Among the objects of connections these would hold on to every page of a
 * crowd that has left long ago; here they stand side by side.
 */
#ifndef OCDMUX_NET_LOOP_MEMORY_H
#define OCDMUX_NET_LOOP_MEMORY_H

/* To be called before anything else of libevent; again does nothing. */
void loop_memory_init(void);

#endif
