package org.elasticsearch.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.ClassPathPlugins;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsService;
import org.elasticsearch.transport.netty4.Netty4Plugin;

/**
 * One Elasticsearch node for tests, from the published jars alone: the distribution's modules folder is replaced by a
 * list of plugin classes. It lives in this package because the seam it uses, the provider of the node's services, is
 * visible only here.
 *
 * <p>Usage: {@code SingleNode HOME SETTING=VALUE...}; ends on SIGTERM.
 */
public final class SingleNode extends Node {
    private static final List<Class<? extends Plugin>> PLUGINS = List.of(Netty4Plugin.class, ServerInfo.class);
    private static final List<String> FOLDERS = List.of("config", "data", "logs", "modules", "plugins", "lib");

    private SingleNode(Environment environment) {
        super(NodeConstruction.prepareConstruction(environment, noPlugins(), new PluginsFromClassPath(), true));
    }

    /** A loader that looks into no folder. */
    private static PluginsLoader noPlugins() {
        return PluginsLoader.createPluginsLoader(Set.of(), Set.of(), Map.of(), false);
    }

    private static final class PluginsFromClassPath extends NodeServiceProvider {
        @Override
        PluginsService newPluginService(Environment environment, PluginsLoader loader) {
            return new ClassPathPlugins(environment, loader, PLUGINS);
        }
    }

    /** The distribution stamps the cluster's id into its log files here; this node logs to its output. */
    @Override
    protected void configureNodeAndClusterIdStateListener(ClusterService service) {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        for (String folder : FOLDERS) {
            Files.createDirectories(home.resolve(folder));
        }
        Settings.Builder builder = Settings.builder().put("path.home", home.toString());
        for (String setting : List.of(arguments).subList(1, arguments.length)) {
            String[] pair = setting.split("=", 2);
            builder.put(pair[0], pair[1]);
        }
        Settings settings = builder.build();
        LogConfigurator.configureESLogging();
        LogConfigurator.configureWithoutConfig(settings);
        LogConfigurator.setNodeName(NODE_NAME_SETTING.get(settings));

        SingleNode node = new SingleNode(new Environment(settings, home.resolve("config")));
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            } finally {
                ended.countDown();
            }
        }));
        node.start();
        ended.await();
    }
}
