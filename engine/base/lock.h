/* A mutex, so that no other folder needs the system's. */
#ifndef ENG_BASE_LOCK_H
#define ENG_BASE_LOCK_H

typedef struct EngLock EngLock;

EngLock *eng_lock_new(void);
void eng_lock_free(EngLock *lock);
void eng_lock_take(EngLock *lock);
void eng_lock_give(EngLock *lock);

#endif
