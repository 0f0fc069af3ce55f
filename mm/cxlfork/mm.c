// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces that map CXL pages: what each one holds, and where all are.
 *
 * One is on the list from before its first CXL page is mapped until its last
 * user is gone, so that whoever walks the list misses none: a child is added
 * behind its parent, whose mmap lock is held until the child's tables are
 * copied.
 */
#include <linux/cxlfork.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(cxlfork_mms_lock);
static LIST_HEAD(cxlfork_mms);

/**
 * cxlfork_mm_init - make an address space one that may hold CXL pages
 * @mm:		the address space; nobody else uses it yet
 * @template:	where its leaves come from; a reference is taken
 *
 * Context: @mm's mmap lock is held for writing, until its tables are complete.
 * Return: 0 or -ENOMEM.
 */
int cxlfork_mm_init(struct mm_struct *mm, struct cxlfork_template *template)
{
	struct cxlfork_mm *cm = kzalloc(sizeof(*cm), GFP_KERNEL_ACCOUNT);

	if (!cm)
		return -ENOMEM;
	cxlfork_template_hold(template);
	cm->mm = mm;
	cm->template = template;
	cm->id = cxlfork_template_id(template);
	mm->cxlfork = cm;
	spin_lock(&cxlfork_mms_lock);
	list_add_tail(&cm->node, &cxlfork_mms);
	spin_unlock(&cxlfork_mms_lock);
	return 0;
}

/* A child's tables are copies that map the same CXL pages. */
int __cxlfork_dup_mm(struct mm_struct *mm, struct mm_struct *oldmm)
{
	struct cxlfork_template *template = oldmm->cxlfork->template;

	return template ? cxlfork_mm_init(mm, template) : 0;
}

void __cxlfork_exit_mm(struct mm_struct *mm)
{
	struct cxlfork_mm *cm = mm->cxlfork;

	spin_lock(&cxlfork_mms_lock);
	list_del(&cm->node);
	spin_unlock(&cxlfork_mms_lock);
	mm->cxlfork = NULL;
	if (cm->template)
		cxlfork_template_put(cm->template);
	kfree(cm);
}

/**
 * cxlfork_mm_forget - an address space maps no CXL page any more
 * @mm:		the address space
 *
 * Its counters stay.
 *
 * Context: @mm's mmap lock and all its mappings are locked for writing, the TLBs
 * are flushed.
 * Return: the template, whose reference is the caller's now.
 */
struct cxlfork_template *cxlfork_mm_forget(struct mm_struct *mm)
{
	struct cxlfork_mm *cm = mm->cxlfork;
	struct cxlfork_template *template;

	mmap_assert_write_locked(mm);
	spin_lock(&cxlfork_mms_lock);
	template = cm->template;
	WRITE_ONCE(cm->template, NULL);
	spin_unlock(&cxlfork_mms_lock);
	return template;
}

/**
 * cxlfork_next_mm - walk the address spaces that may map CXL pages
 * @mm:		the one before, whose reference is dropped; NULL: the first one
 *
 * Those that are on their way out are passed over.
 *
 * Context: process context.
 * Return: the next one with a reference to its users, or NULL.
 */
struct mm_struct *cxlfork_next_mm(struct mm_struct *mm)
{
	struct mm_struct *next = NULL;
	struct cxlfork_mm *cm;

	spin_lock(&cxlfork_mms_lock);
	/* It stays on the list as long as somebody uses it. */
	cm = mm ? mm->cxlfork : NULL;
	cm = list_prepare_entry(cm, &cxlfork_mms, node);
	list_for_each_entry_continue(cm, &cxlfork_mms, node) {
		if (cm->template && mmget_not_zero(cm->mm)) {
			next = cm->mm;
			break;
		}
	}
	spin_unlock(&cxlfork_mms_lock);
	/* It may be the last one, and what that waits for is not our business. */
	if (mm)
		mmput_async(mm);
	return next;
}
