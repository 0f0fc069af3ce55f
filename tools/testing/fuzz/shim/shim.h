/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as our sources need to be compiled and run in a process:
 * one thread, a clock of its own, and memory that is shared with another host.
 *
 * Every <linux/...> and <asm/...> that the sources include is this file (the
 * Makefile makes these headers).  What a function of the kernel does that matters
 * here is done; what a caller of it must not do ends the process: to wait for what
 * nobody will do, to take a lock twice, to count below zero, to warn.
 */
#ifndef SHIM_H
#define SHIM_H

#include "types.h"
#include "mm.h"
#include "file.h"

/* Ends the process: found something. */
#define shim_bug(fmt, ...) \
	shim_die("%s:%d: " fmt, __FILE__, __LINE__, ##__VA_ARGS__)
void shim_die(const char *fmt, ...) __printf(1, 2) __attribute__((__noreturn__));
#define shim_assert(cond) \
	do { if (!(cond)) shim_bug("%s", #cond); } while (0)

/*
 * Between any two accesses to shared memory, and whenever the kernel sleeps,
 * another host may write there.
 */
extern void (*shim_other_host)(void);
static inline void shim_step(void)
{
	if (shim_other_host)
		shim_other_host();
}

#define _RET_IP_		((unsigned long)__builtin_return_address(0))
#define READ_ONCE(x)		(shim_step(), *(volatile typeof(x) *)&(x))
/* And whoever watches what this host writes hears of it. */
extern void (*shim_wrote)(const volatile void *at, size_t len);
static inline void shim_write(const volatile void *at, size_t len)
{
	if (shim_wrote)
		shim_wrote(at, len);
}

#define WRITE_ONCE(x, val) \
	(shim_write(&(x), sizeof(x)), *(volatile typeof(x) *)&(x) = (val))
#define smp_load_acquire(ptr)	__atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define smp_store_release(ptr, val) __atomic_store_n(ptr, val, __ATOMIC_RELEASE)
#define mb()			__sync_synchronize()
#define rmb()			__sync_synchronize()
#define cmpxchg(ptr, old, new) \
	(shim_step(), shim_write(ptr, sizeof(*(ptr))), \
	 __sync_val_compare_and_swap(ptr, old, new))
#define rcu_dereference_protected(ptr, cond) (ptr)
#define synchronize_rcu()	shim_step()
#define cond_resched()		shim_step()

#define WARN_ON_ONCE(cond) \
	({ if (cond) shim_bug("WARNING: %s", #cond); false; })

/* --- memory: the nth allocation fails, if shim_fail_at is n */
extern unsigned int shim_fail_at;
void *shim_alloc(size_t nr, size_t size, bool zero, size_t max);
#define SHIM_KMALLOC_MAX	(4UL << 20)
#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_NOFAIL		1
#define kmalloc(size, gfp)	shim_alloc(1, size, false, SHIM_KMALLOC_MAX)
#define kzalloc(size, gfp) \
	((gfp) & __GFP_NOFAIL ? calloc(1, size) : \
	 shim_alloc(1, size, true, SHIM_KMALLOC_MAX))
#define kvmalloc(size, gfp)	shim_alloc(1, size, false, INT_MAX)
#define kvzalloc(size, gfp)	shim_alloc(1, size, true, INT_MAX)
void *kvrealloc(void *old, size_t size, gfp_t gfp);
#define kvcalloc(nr, size, gfp)	shim_alloc(nr, size, true, INT_MAX)
#define kvmalloc_array(nr, size, gfp) shim_alloc(nr, size, false, INT_MAX)
#define bitmap_alloc(bits, gfp) \
	((unsigned long *)shim_alloc(BITS_TO_LONGS(bits), sizeof(long), false, \
				     SHIM_KMALLOC_MAX))
#define kfree(ptr)		free((void *)(ptr))
#define kvfree(ptr)		free((void *)(ptr))
#define bitmap_free(ptr)	free(ptr)
#define bitmap_fill(map, bits)	memset(map, 0xff, BITS_TO_LONGS(bits) * sizeof(long))
unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
					 unsigned long start, unsigned int nr,
					 unsigned long mask);

/* --- strings, checksum */
#define shim_third(_1, _2, _3, name, ...) name
#define strscpy(...) \
	shim_third(__VA_ARGS__, shim_strscpy, shim_strscpy2, )(__VA_ARGS__)
#define strscpy_pad(...) \
	shim_third(__VA_ARGS__, shim_strscpy_pad, shim_strscpy_pad2, )(__VA_ARGS__)
#define shim_strscpy2(to, from)	shim_strscpy(to, from, sizeof(to))
#define shim_strscpy_pad2(to, from) shim_strscpy_pad(to, from, sizeof(to))
#define shim_strscpy_pad(to, from, size) \
	(memset(to, 0, size), shim_strscpy(to, from, size))
static inline void shim_strscpy(void *to, const char *from, size_t size)
{
	snprintf(to, size, "%s", from);
}

#define vscnprintf		vsnprintf
const void *memchr_inv(const void *from, int c, size_t size);
/* The tools have another one. */
#define crc32c			shim_crc32c
u32 crc32c(u32 crc, const void *data, size_t size);
/* Memory errors are none of this process's. */
#define _ASM_EXTABLE_TYPE(from, to, type) ""
unsigned long copy_mc_to_kernel(void *to, const void *from, size_t size);
#define memcpy_flushcache(to, from, size) \
	(shim_write(to, size), memcpy(to, from, size))
#define arch_wb_cache_pmem(at, size) ((void)(at))
#define pmem_wmb()		mb()
#define clflush_cache_range(at, size) ((void)(at))

/* --- the user: part of this process */
#define copy_to_user(to, from, size) (memcpy(to, from, size), 0UL)
#define copy_from_user(to, from, size) (memcpy(to, from, size), 0UL)
#define put_user(val, to)	((void)(*(to) = (val)), 0)
#define u64_to_user_ptr(val)	((void *)(unsigned long)(val))

/* --- locks: one thread, which must not wait for itself */
struct mutex {
	int held;
};

#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_init(m)		((m)->held = 0)
#define lockdep_assert_held(m)	shim_assert((m)->held)
static inline bool mutex_trylock(struct mutex *m)
{
	return m->held ? false : ++m->held;
}

static inline void mutex_lock(struct mutex *m)
{
	if (!mutex_trylock(m))
		shim_bug("deadlock");
}

static inline int mutex_lock_killable(struct mutex *m)
{
	mutex_lock(m);
	return 0;
}

#define mutex_lock_interruptible mutex_lock_killable
static inline void mutex_unlock(struct mutex *m)
{
	shim_assert(m->held == 1);
	m->held = 0;
}

struct rw_semaphore {
	int readers;
	bool writer;
};

#define init_rwsem(sem)		((sem)->readers = 0, (sem)->writer = false)
static inline void down_read(struct rw_semaphore *sem)
{
	shim_assert(!sem->writer);
	sem->readers++;
}

static inline void up_read(struct rw_semaphore *sem)
{
	shim_assert(sem->readers-- > 0);
}

static inline void down_write(struct rw_semaphore *sem)
{
	shim_assert(!sem->writer && !sem->readers);
	sem->writer = true;
}

static inline void up_write(struct rw_semaphore *sem)
{
	shim_assert(sem->writer);
	sem->writer = false;
}

typedef struct {
	int locked;
} spinlock_t;

#define DEFINE_SPINLOCK(name)	spinlock_t name
#define spin_lock_init(lock)	((lock)->locked = 0)
#define spin_lock(lock)		shim_assert(!(lock)->locked++)
#define spin_unlock(lock)	shim_assert(!--(lock)->locked)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long counter;
} atomic_long_t;

#define atomic_read(v)		((v)->counter)
#define atomic_inc(v)		((v)->counter++)
#define atomic_dec_and_test(v)	(--(v)->counter == 0)

typedef struct {
	int count;
} refcount_t;

#define refcount_read(ref)	((ref)->count)
#define refcount_set(ref, n)	((ref)->count = (n))
static inline void refcount_inc(refcount_t *ref)
{
	shim_assert(ref->count++ > 0);
}

static inline bool refcount_inc_not_zero(refcount_t *ref)
{
	return ref->count ? ++ref->count : false;
}

static inline bool refcount_dec_and_mutex_lock(refcount_t *ref, struct mutex *m)
{
	shim_assert(ref->count > 0);
	if (ref->count > 1) {
		ref->count--;
		return false;
	}
	mutex_lock(m);
	return --ref->count == 0;
}

struct completion {
	bool done;
};

typedef int wait_queue_head_t;
#define init_waitqueue_head(wq)	(*(wq) = 0)
#define wake_up(wq)		(*(wq) = 1)
#define wait_event_idle(wq, cond) \
	do { if (!(cond)) shim_bug("waits for ever: %s", #cond); } while (0)

/* --- time: goes on when somebody sleeps */
extern unsigned long jiffies;
#define HZ			1000
#define msecs_to_jiffies(ms)	((unsigned long)(ms))
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define time_before(a, b)	time_after(b, a)
#define ktime_get_boottime()	jiffies
#define ktime_to_ms(t)		((s64)(t))
static inline s64 ktime_get_real_seconds(void)
{
	return 1700001000 + jiffies / HZ;
}

static inline void msleep(unsigned int ms)
{
	jiffies += ms;
	shim_step();
}

#define msleep_interruptible	msleep
#define usleep_range(min, max)	msleep(1)
extern bool shim_signal;
#define signal_pending(task)	shim_signal

/* --- work: run when the fuzzer says so */
struct work_struct {
	void (*func)(struct work_struct *work);
	bool queued;
};

struct delayed_work {
	struct work_struct work;
};

#define DECLARE_WORK(name, fn)	struct work_struct name = { .func = fn }
#define INIT_DELAYED_WORK(w, fn) ((w)->work = (struct work_struct){ .func = fn })
#define system_unbound_wq	NULL
#define WQ_UNBOUND		0
#define WQ_HIGHPRI		0
#define WQ_MEM_RECLAIM		0
#define alloc_workqueue(name, flags, max) ((struct workqueue_struct *)(name))
#define destroy_workqueue(wq)	((void)(wq))
#define queue_delayed_work(wq, w, delay) shim_queue(&(w)->work)
#define queue_work(wq, work)	shim_queue(work)
#define schedule_delayed_work(w, delay) shim_queue(&(w)->work)
#define to_delayed_work(w)	container_of(w, struct delayed_work, work)
#define cancel_delayed_work_sync(w) ((w)->work.queued = false)
#define cancel_work_sync(work)	((work)->queued = false)
#define INIT_WORK(work, fn)	(*(work) = (struct work_struct){ .func = fn })
void shim_queue(struct work_struct *work);
/* Run it, if it was queued. */
void flush_work(struct work_struct *work);
/* Run what was queued, but not what that queues. */
void shim_work(void);

/* --- lists */
struct list_head {
	struct list_head *next, *prev;
};

#define INIT_LIST_HEAD(head)	((head)->next = (head)->prev = (head))
#define LIST_HEAD(name)		struct list_head name = { &(name), &(name) }
#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each_entry(pos, head, member)				\
	for (pos = list_entry((head)->next, typeof(*pos), member);	\
	     &pos->member != (head);					\
	     pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_safe(pos, n, head, member)			\
	for (pos = list_entry((head)->next, typeof(*pos), member),	\
	     n = list_entry(pos->member.next, typeof(*pos), member);	\
	     &pos->member != (head);					\
	     pos = n, n = list_entry(n->member.next, typeof(*n), member))

static inline void list_add(struct list_head *node, struct list_head *head)
{
	node->next = head->next;
	node->prev = head;
	head->next->prev = node;
	head->next = node;
}

static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	list_add(node, head->prev);
}

static inline void list_del(struct list_head *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
}

static inline void list_move(struct list_head *node, struct list_head *head)
{
	list_del(node);
	list_add(node, head);
}

/* --- who asks */
typedef struct {
	u32 val;
} kuid_t, kgid_t;

struct group_info {
	int ngroups;
	kgid_t gid[];
};

struct cred {
	kuid_t fsuid;
	kgid_t fsgid;
	const struct group_info *group_info;
};

struct xarray {
	void *head;
};

struct task_struct {
	void *sighand;
	struct mm_struct *mm;
};

extern struct task_struct *current;
extern int init_user_ns;
#define CAP_SYS_ADMIN		21
#define CAP_CHECKPOINT_RESTORE	40
#define file_ns_capable(file, ns, cap) ((file)->privileged)
#define ns_capable_noaudit(ns, cap) true
#define CAP_SYS_RESOURCE	24
#define current_fsuid()		((kuid_t){ 0 })
#define current_fsgid()		((kgid_t){ 0 })
#define from_kuid(ns, id)	((id).val)
#define from_kgid(ns, id)	((id).val)
#define make_kuid(ns, id)	((kuid_t){ id })
#define make_kgid(ns, id)	((kgid_t){ id })
#define uid_eq(a, b)		((a).val == (b).val)
#define gid_eq(a, b)		((a).val == (b).val)
#ifndef O_PATH
#define O_ACCMODE		3
#define O_RDONLY		0
#define O_WRONLY		1
#define O_APPEND		02000
#define O_NONBLOCK		04000
#define O_DSYNC			010000
#define O_DIRECT		040000
#define O_LARGEFILE		0100000
#define O_DIRECTORY		0200000
#define O_NOATIME		01000000
#define O_PATH			010000000
#endif
#define __O_SYNC		04000000
#ifndef O_CLOEXEC
#define O_CLOEXEC		02000000
#endif
#define ERESTARTSYS		512

/* --- what the task checks know */
#define PER_LINUX		0
#define ADDR_NO_RANDOMIZE	0x0040000
#define SS_DISABLE		2
#define SS_AUTODISARM		(1U << 31)
#define _NSIG			64

/* --- the module and its device */
struct module;
#define THIS_MODULE		((struct module *)1)
/* A harness sets parameters through these. */
#define module_param_named(name, var, type, mode) \
	typeof(var) *shim_param_##name = &(var)
#define MODULE_PARM_DESC(name, text)	extern int shim_module
#define MODULE_DESCRIPTION(text)	extern int shim_module
#define MODULE_LICENSE(text)		extern int shim_module
#define MODULE_IMPORT_NS(ns)		extern int shim_module
#define EXPORT_SYMBOL_NS_GPL(name, ns)	extern int shim_module
int shim_module_init(void);
void shim_module_exit(void);
#define module_init(fn)		int shim_module_init(void) { return fn(); }
#define module_exit(fn)		void shim_module_exit(void) { fn(); }

struct device {
	const char *name;
};

/* With FUZZ_TELL in the environment: to replay an input and see what happens. */
void shim_say(const char *fmt, ...) __printf(1, 2);

#define pr_err(fmt, ...)	shim_say(fmt, ##__VA_ARGS__)
#define pr_notice(fmt, ...)	shim_say(fmt, ##__VA_ARGS__)
/* dev_info() has conversions (%pUb) that are the kernel's own. */
#define dev_info(dev, fmt, ...)	((void)(dev))
#define dev_warn(dev, fmt, ...)	((void)(dev), shim_say(fmt, ##__VA_ARGS__))
#define dev_err			dev_warn
#define dev_crit		dev_warn
#define dev_err_ratelimited	dev_warn
#define dev_warn_ratelimited	dev_warn
#define dev_name(dev)		((dev)->name)
#define dev_to_node(dev)	0

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data);
};

#define NOTIFY_DONE		0
#define register_reboot_notifier(nb) ((void)(nb), 0)
#define unregister_reboot_notifier(nb) ((void)(nb))

struct range {
	u64 start, end;
};

struct dev_pagemap_ops {
	int none;
};

struct dev_pagemap {
	const struct dev_pagemap_ops *ops;
	struct range range;
	int type, nr_range;
	void *owner;
};

#define MEMORY_DEVICE_GENERIC	1
extern int shim_pagemaps;
void *memremap_pages(struct dev_pagemap *pgmap, int node);
#define memunmap_pages(pgmap)	shim_assert(!shim_pagemaps)
#define get_dev_pagemap(pfn, prev) ((void)(pfn), shim_pagemaps++, true)
#define put_dev_pagemap(pgmap)	shim_assert(shim_pagemaps-- > 0)

/* --- who this host is */
typedef struct {
	u8 b[16];
} uuid_t;

#define DMI_PRODUCT_UUID	0
const char *dmi_get_system_info(int field);
int uuid_parse(const char *text, uuid_t *uuid);
bool uuid_is_null(const uuid_t *uuid);
void generate_random_uuid(u8 *uuid);
struct new_utsname {
	char nodename[65], release[65];
};

struct new_utsname *init_utsname(void);
#define X86_FEATURE_HYPERVISOR	1
#define boot_cpu_has(feature)	((void)(feature), false)
#define hypervisor_cpuid_base(sig, leaves) ((void)(sig), 0)

#endif /* SHIM_H */
