// Netflix's own client: registers as JAVA-TILL, finds itself by its virtual address, and leaves when a line comes.

import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.InstanceInfo;
import com.netflix.appinfo.MyDataCenterInstanceConfig;
import com.netflix.appinfo.providers.EurekaConfigBasedInstanceInfoProvider;
import com.netflix.discovery.DefaultEurekaClientConfig;
import com.netflix.discovery.DiscoveryClient;
import java.util.List;

public final class Till {
    private static final class Instance extends MyDataCenterInstanceConfig {
        @Override public String getAppname() { return "java-till"; }
        @Override public String getInstanceId() { return "java-till-1"; }
        @Override public String getHostName(boolean refresh) { return "localhost"; }
        @Override public String getIpAddress() { return "127.0.0.1"; }
        @Override public int getNonSecurePort() { return 7070; }
        @Override public String getVirtualHostName() { return "tills"; }
        @Override public int getLeaseRenewalIntervalInSeconds() { return 1; }
    }

    private static final class Client extends DefaultEurekaClientConfig {
        private final String url;

        Client(String url) { this.url = url; }

        @Override public List<String> getEurekaServerServiceUrls(String zone) { return List.of(url); }
        @Override public int getRegistryFetchIntervalSeconds() { return 1; }
        @Override public int getInitialInstanceInfoReplicationIntervalSeconds() { return 0; }
    }

    public static void main(String[] arguments) throws Exception {
        Instance config = new Instance();
        InstanceInfo own = new EurekaConfigBasedInstanceInfoProvider(config).get();
        ApplicationInfoManager manager = new ApplicationInfoManager(config, own);
        DiscoveryClient client = new DiscoveryClient(manager, new Client(arguments[0]));
        manager.setInstanceStatus(InstanceInfo.InstanceStatus.UP);
        while (client.getInstancesByVipAddress("tills", false).isEmpty()) {
            Thread.sleep(50);
        }
        InstanceInfo found = client.getNextServerFromEureka("tills", false);
        System.out.println(found.getAppName() + " " + found.getHostName() + ":" + found.getPort());
        System.in.read();
        client.shutdown();
    }
}
