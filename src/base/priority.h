/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priority.h: work for which nobody waits.
 */
#ifndef HF_BASE_PRIORITY_H
#define HF_BASE_PRIORITY_H

/*
 * From now on the calling thread, and those that it starts, get the processor and the disk when
 * nobody else wants them: nice 19, from which Linux takes the priority of reads and writes, too.
 * For a process that collects or verifies beside backups. It cannot be taken back.
 */
void priority_lower(void);

#endif
