// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/cxlfork_stat: what a clone really uses.
 *
 * Pages in CXL memory are in no RSS, shared leaves in no pgtables_bytes: they
 * cost this host nothing.  What a clone costs it is bytes_local: anonymous pages
 * of its own and all of its page tables.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>

struct cxlfork_stat {
	unsigned long	pages_cxl;
	unsigned long	pages_anon;
	unsigned long	pages_file;
	unsigned long	leaves_shared;
	unsigned long	leaves_local;
	unsigned long	huge_cxl;
	unsigned long	huge_local;
	unsigned long	counted;	/* address of the last table */
};

static void cxlfork_stat_pte(struct cxlfork_stat *stat,
			     struct vm_area_struct *vma, unsigned long addr, pte_t pte)
{
	struct page *page;

	if (!pte_present(pte))
		return;
	page = vm_normal_page(vma, addr, pte);
	if (!page)
		stat->pages_cxl += cxlfork_pte(pte);
	else if (PageAnon(page))
		stat->pages_anon++;
	else
		stat->pages_file++;
}

static int cxlfork_stat_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
			    struct mm_walk *walk)
{
	struct cxlfork_stat *stat = walk->private;
	pte_t *start, *pte;
	spinlock_t *ptl;

	ptl = pmd_trans_huge_lock(pmd, walk->vma);
	if (ptl) {
		__acquire(ptl); /* sparse can't know that it is taken */
		if (cxlfork_pmd_huge(*pmd)) {
			stat->pages_cxl += (end - addr) >> PAGE_SHIFT;
			stat->huge_cxl++;
		} else if (pmd_present(*pmd) && !is_huge_zero_pmd(*pmd)) {
			stat->pages_anon += (end - addr) >> PAGE_SHIFT;
			stat->huge_local++;
		}
		spin_unlock(ptl);
		return 0;
	}
	start = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!start) {
		walk->action = ACTION_AGAIN;
		return 0;
	}
	__acquire(ptl);
	/* A table that several mappings use is counted with the first. */
	if ((addr & PMD_MASK) != stat->counted) {
		stat->counted = addr & PMD_MASK;
		if (cxlfork_pmd_leaf(*pmd))
			stat->leaves_shared++;
		else
			stat->leaves_local++;
	}
	for (pte = start; addr != end; pte++, addr += PAGE_SIZE)
		cxlfork_stat_pte(stat, walk->vma, addr, ptep_get(pte));
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return 0;
}

static const struct mm_walk_ops cxlfork_stat_ops = {
	.pmd_entry	= cxlfork_stat_pmd,
	.walk_lock	= PGWALK_RDLOCK,
};

/* With the mmap lock held. */
static int cxlfork_stat_walk(struct mm_struct *mm, struct cxlfork_stat *stat)
{
	return walk_page_range(mm, 0, mm->task_size, &cxlfork_stat_ops, stat);
}

/**
 * cxlfork_mm_pages - how many CXL pages an address space maps
 * @mm:		the address space; a reference to its users is held
 *
 * Context: process context, sleeps.
 * Return: how many, or -EINTR.
 */
long cxlfork_mm_pages(struct mm_struct *mm)
{
	struct cxlfork_stat stat = { .counted = ULONG_MAX };
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	/* Reaped, or a child that fork() has given up: it ends. */
	ret = check_stable_address_space(mm) ? 0 : cxlfork_stat_walk(mm, &stat);
	mmap_read_unlock(mm);
	return ret ?: stat.pages_cxl;
}

/**
 * proc_pid_cxlfork_stat - show /proc/PID/cxlfork_stat
 * @m:		where to write
 * @ns:		unused
 * @pid:	unused
 * @task:	the process
 *
 * Lines of "name value"; empty for a process that is no clone.
 *
 * Context: process context.
 * Return: 0 or -errno.
 */
int proc_pid_cxlfork_stat(struct seq_file *m, struct pid_namespace *ns,
			  struct pid *pid, struct task_struct *task)
{
	struct mm_struct *mm = mm_access(task, PTRACE_MODE_READ_FSCREDS);
	struct cxlfork_stat stat = { .counted = ULONG_MAX };
	struct cxlfork_mm *cm;
	int ret = 0;

	if (IS_ERR_OR_NULL(mm))
		return mm ? PTR_ERR(mm) : 0;
	cm = mm->cxlfork;
	if (!cm)
		goto out;
	ret = mmap_read_lock_killable(mm);
	if (ret)
		goto out;
	ret = cxlfork_stat_walk(mm, &stat);
	mmap_read_unlock(mm);
	if (ret)
		goto out;

	seq_printf(m, "checkpoint %llu\n", cm->id);
	seq_printf(m, "pages_cxl %lu\n", stat.pages_cxl);
	seq_printf(m, "pages_local %lu\n", stat.pages_anon);
	seq_printf(m, "pages_file %lu\n", stat.pages_file);
	seq_printf(m, "pages_swapped %lu\n", get_mm_counter(mm, MM_SWAPENTS));
	seq_printf(m, "leaves_shared %lu\n", stat.leaves_shared);
	seq_printf(m, "leaves_local %lu\n", stat.leaves_local);
	seq_printf(m, "huge_cxl %lu\n", stat.huge_cxl);
	seq_printf(m, "huge_local %lu\n", stat.huge_local);
	seq_printf(m, "bytes_tables %lu\n", mm_pgtables_bytes(mm));
	seq_printf(m, "bytes_local %lu\n",
		   (stat.pages_anon << PAGE_SHIFT) + mm_pgtables_bytes(mm));
	seq_printf(m, "faults_cow %ld\n", atomic_long_read(&cm->cow));
	seq_printf(m, "faults_gup %ld\n", atomic_long_read(&cm->gup));
	seq_printf(m, "faults_cow_huge %ld\n", atomic_long_read(&cm->cow_huge));
	seq_printf(m, "pages_localised %ld\n", atomic_long_read(&cm->localised));
	seq_printf(m, "pages_lost %ld\n", atomic_long_read(&cm->lost));
	seq_printf(m, "leaves_unshared %ld\n", atomic_long_read(&cm->unshared));
	seq_printf(m, "huge_split %ld\n", atomic_long_read(&cm->split));
out:
	mmput(mm);
	return ret;
}
