// SPDX-License-Identifier: GPL-2.0
/* Names of checkpoints, and how they are listed. */
#include <sys/ioctl.h>

#include "cxlfork_fixture.h"

static long fork_named(struct cxl *cxl, const char *name, uint32_t len)
{
	long ret;

	cxl_init(cxl);
	cxl->args.name = (uintptr_t)name;
	cxl->args.name_len = len;
	ret = cxl_call(cxl);
	if (!ret)
		_exit(0);
	return ret < 0 ? -errno : ret;
}

static bool find(const struct cxl *cxl, long id, struct cxlfork_ckpt_info *info)
{
	memset(info, 0, sizeof(*info));
	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, info))
		if ((long)info->id == id)
			return true;
	return false;
}

CXL_TEST(no_names)
{
	static const char *const bad[] = {
		"/", "a/b", "/etc", "a\nb", "\x01", "a\x1b[2J", "a\x7f", "a b", "caf\xc3\xa9",
		"\xff",
	};
	struct cxl *cxl = &self->cxl;
	char longest[CXLFORK_NAME_MAX + 1];
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(-EINVAL, fork_named(cxl, bad[i], strlen(bad[i]))) {
			TH_LOG("name %u", i);
		}
	EXPECT_EQ(-EINVAL, fork_named(cxl, "a\0b", 3));
	EXPECT_EQ(-EINVAL, fork_named(cxl, "a", 0));
	EXPECT_EQ(-EINVAL, fork_named(cxl, NULL, 1));
	memset(longest, 'x', sizeof(longest));
	EXPECT_EQ(-EINVAL, fork_named(cxl, longest, CXLFORK_NAME_MAX));
	EXPECT_EQ(-EINVAL, fork_named(cxl, longest, CXLFORK_NAME_MAX + 1));
	EXPECT_EQ(-EINVAL, fork_named(cxl, longest, ~0U));
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
}

CXL_TEST(names)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	char longest[CXLFORK_NAME_MAX];
	long id, other;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	id = fork_named(cxl, longest, CXLFORK_NAME_MAX - 1);
	ASSERT_GT(id, 0);
	ASSERT_TRUE(find(cxl, id, &info));
	EXPECT_STREQ(longest, info.name);
	EXPECT_EQ(CXLFORK_CKPT_LIVE, info.state);
	EXPECT_EQ(0, info.refs);
	EXPECT_EQ(getuid(), info.uid);
	EXPECT_EQ(0600, info.mode);
	EXPECT_EQ((cxl->free - cxl_free_extents(cxl)) * LEAF, info.bytes);
	EXPECT_GT(info.pages, 0);

	/* A name is one checkpoint's, until that is gone. */
	EXPECT_EQ(-EEXIST, fork_named(cxl, longest, CXLFORK_NAME_MAX - 1));
	EXPECT_EQ(1, cxl->args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_NAME, cxl->reports[0].reason);
	EXPECT_EQ(-1, cxl->reports[0].fd);
	EXPECT_NE(NULL, strstr(cxl->reports[0].text, "xxx"));
	other = fork_named(cxl, longest, CXLFORK_NAME_MAX - 2);
	EXPECT_GT(other, 0);
	EXPECT_EQ(0, cxl_remove(cxl, id));
	EXPECT_FALSE(find(cxl, id, &info));
	EXPECT_TRUE(find(cxl, other, &info));
	id = fork_named(cxl, longest, CXLFORK_NAME_MAX - 1);
	EXPECT_GT(id, 0);
	EXPECT_NE(id, cxl->ids[0]);
}

/* Without a name there can be many. */
CXL_TEST(nameless)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	long a = fork_named(cxl, NULL, 0), b = fork_named(cxl, NULL, 0);

	ASSERT_GT(a, 0);
	ASSERT_GT(b, 0);
	EXPECT_NE(a, b);
	EXPECT_TRUE(find(cxl, a, &info));
	EXPECT_STREQ("", info.name);
	EXPECT_EQ(-1, cxl_remove(cxl, 0));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, cxl_remove(cxl, -1));
	EXPECT_EQ(ENOENT, errno);
}

TEST_HARNESS_MAIN
